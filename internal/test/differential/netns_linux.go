package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// inNamespace is set in the environment of the process that has the namespace.
const inNamespace = "ITERDNS_DIFFERENTIAL_NAMESPACE"

// isolated reports whether this process is the one in a network namespace of its own.
func isolated() bool { return os.Getenv(inNamespace) != "" }

// isolate runs this program once more, in new network and process namespaces: nothing
// it sends can leave, and when it ends, so does everything that it started. Without root
// it needs a user namespace around them, which some systems forbid.
func isolate() (status int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	err = cmd.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return max(ended.ExitCode(), 1), nil
	}
	return 0, err
}

// claim makes all addresses of the prefixes belong to this host.
func claim(prefixes ...string) error {
	commands := [][]string{{"link", "set", "lo", "up"}}
	for _, prefix := range prefixes {
		commands = append(commands, []string{"route", "add", "local", prefix, "dev", "lo"})
	}
	for _, arguments := range commands {
		if output, err := exec.Command("ip", arguments...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %q: %w\n%s", arguments, err, output)
		}
	}
	return nil
}
