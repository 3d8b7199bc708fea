"""The commands of `pgwarden`, one file each. They read arguments and print; the work is done elsewhere."""
