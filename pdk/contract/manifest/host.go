package manifest

// ValidHost tells whether host is an exact DNS name, as an egress rule wants it.
func ValidHost(host string) bool { return hostProblem(host) == "" }
