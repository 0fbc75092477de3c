//go:build !linux

package realserver

import (
	"errors"
	"syscall"
)

// endWithParent asks for nothing: only Linux ends a child with its parent.
func endWithParent() *syscall.SysProcAttr { return nil }

// unconfined returns binary: only Linux has AppArmor.
func unconfined(binary, _ string) (string, error) { return binary, nil }

// halt and goOn stand for signals that not every system has.
const halt, goOn = syscall.Signal(0), syscall.Signal(0)

// signalGroup fails: only Linux starts the servers as groups of processes.
func signalGroup(int, syscall.Signal) error { return errors.ErrUnsupported }
