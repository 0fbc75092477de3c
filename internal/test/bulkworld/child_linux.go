package main

import (
	"os"
	"syscall"
)

// dieWithParent has a child killed when this process is.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// maxMemory returns the largest memory that an ended process had, in bytes.
func maxMemory(s *os.ProcessState) int64 {
	if usage, ok := s.SysUsage().(*syscall.Rusage); ok {
		return int64(usage.Maxrss) << 10
	}
	return 0
}
