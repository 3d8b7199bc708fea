-- Taken for a leak: the day is made of the client's own literal, and the copy's answer holds it, too.
SELECT DATE '2130-10-08' + id FROM shop.regions
