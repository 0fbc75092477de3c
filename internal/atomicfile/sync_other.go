//go:build !unix

package atomicfile

// syncFolder does nothing where folders cannot be synchronised.
func syncFolder(string) error { return nil }
