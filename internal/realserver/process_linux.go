package realserver

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
)

// endWithParent makes the kernel end the server when the test binary dies without
// cleaning up, as after a panic or a test timeout. The server leads a group of processes,
// so that signals reach its children too.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// halt and goOn stop a process where it is, and let it go on.
const halt, goOn = syscall.SIGSTOP, syscall.SIGCONT

// signalGroup sends a signal to the processes of a group.
func signalGroup(leader int, sig syscall.Signal) error { return syscall.Kill(-leader, sig) }

// unconfined returns the path of a program that no AppArmor profile restricts.
// Debian and Ubuntu confine named, by its path, to the directories of the system's
// own server, where this package has nothing to look for; a copy elsewhere is free.
func unconfined(binary, dir string) (string, error) {
	enabled, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	if err != nil || !bytes.HasPrefix(enabled, []byte("Y")) {
		return binary, nil // no AppArmor in this kernel
	}
	return copyProgram(binary, dir)
}

// copyProgram copies an executable file into dir.
func copyProgram(binary, dir string) (string, error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, filepath.Base(binary))
	return path, os.WriteFile(path, program, 0o700)
}
