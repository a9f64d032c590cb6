"""For tests of applications that use batchstatus: a simulator of both vendors' APIs."""
