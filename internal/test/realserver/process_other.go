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

// signalGroup fails: only Linux starts the servers as groups of processes.
func signalGroup(int, syscall.Signal) error { return errors.ErrUnsupported }

// halt fails as signalGroup does.
func halt(int) error { return errors.ErrUnsupported }

// goOn fails likewise.
func goOn(int) error { return errors.ErrUnsupported }
