//go:build !linux

package main

import (
	"errors"
	"os"
	"syscall"
)

func isolated() bool { return false }

func isolate() (status int, err error) {
	return 0, errors.New("network namespaces are Linux's")
}

func loopback() error { return errors.ErrUnsupported }

func dieWithParent() *syscall.SysProcAttr { return nil }

func maxMemory(*os.ProcessState) int64 { return 0 }
