package main

// descriptorsOf returns the share of n descriptors that clients' connections may have: the
// other half is for asking, with a socket for each query, and for files. Who gave clients all
// of them could not answer what is not in the cache.
func descriptorsOf(n uint64) int { return int(min(n/2, 1<<30)) }

// manyDescriptors is taken where the system has no limit, or does not say.
const manyDescriptors = 1 << 20

// connections returns how many connections there may be at each address.
func (c *config) connections() int {
	addresses := len(c.listen) + len(c.tlsListen) + len(c.httpsListen) + len(c.metricsListen)
	return max(1, min(maxConnections, descriptorsOf(c.descriptors)/max(1, addresses)))
}
