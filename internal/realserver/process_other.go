//go:build !linux

package realserver

import "syscall"

// endWithParent asks for nothing: only Linux ends a child with its parent.
func endWithParent() *syscall.SysProcAttr { return nil }

// unconfined returns binary: only Linux has AppArmor.
func unconfined(binary, _ string) (string, error) { return binary, nil }
