//go:build !unix

package main

// descriptors returns how many files and sockets the process may have open, which no limit of
// its own bounds.
func descriptors() uint64 { return manyDescriptors }
