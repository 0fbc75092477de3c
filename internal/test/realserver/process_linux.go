package realserver

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// endWithParent makes the kernel end the server when the test binary dies without
// cleaning up, as after a panic or a test timeout. The server leads a group of processes,
// so that signals reach its children too.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// signalGroup sends a signal to the processes of a group.
func signalGroup(leader int, sig syscall.Signal) error { return syscall.Kill(-leader, sig) }

// haltWait bounds what takes no time on a machine that is not busy.
const haltWait = 30 * time.Second

// halt stops the processes of a group where they are, and returns when they have: the
// signal alone leaves threads on other processors the time for an answer.
func halt(leader int) error {
	if err := signalGroup(leader, syscall.SIGSTOP); err != nil {
		return err
	}
	for end := time.Now().Add(haltWait); running(leader); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("the processes do not stop")
		}
	}
	return nil
}

// goOn lets the processes of a group go on.
func goOn(leader int) error { return signalGroup(leader, syscall.SIGCONT) }

// running reports whether a thread of a group of processes is not stopped, by what
// proc_pid_stat(5) says of each.
func running(leader int) bool {
	files, _ := filepath.Glob("/proc/[0-9]*/task/[0-9]*/stat") // the pattern is a valid one
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		if err != nil {
			return false // it has ended
		}
		// Behind the program's name, which may hold anything, come state, parent and group.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		return len(fields) > 2 && fields[2] == strconv.Itoa(leader) && !strings.Contains("TZX", fields[0])
	})
}

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
