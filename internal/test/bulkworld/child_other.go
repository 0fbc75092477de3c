//go:build !linux

package main

import (
	"os"
	"syscall"
)

func dieWithParent() *syscall.SysProcAttr { return nil }

func maxMemory(*os.ProcessState) int64 { return 0 }
