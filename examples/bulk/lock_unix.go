//go:build unix && !solaris && !aix

package main

import (
	"os"
	"syscall"
)

// lock keeps other processes from writing to the file for as long as this one has it open.
func lock(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
