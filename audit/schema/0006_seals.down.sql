DROP TABLE pgwarden.seals;
