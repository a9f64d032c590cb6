"""Raw clients, generated from the vendors' specs. Applications import `batchstatus`."""
