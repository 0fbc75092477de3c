//go:build unix

package main

import "syscall"

// descriptors returns how many files and sockets the process may have open. Go has raised the
// soft limit to the hard one by then.
func descriptors() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return manyDescriptors
	}
	return uint64(limit.Cur)
}
