// Package netns runs a program of the tests in namespaces of its own, where port 53 of all
// addresses is free and nothing that it sends can leave.
package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// inside is set in the environment of the process that has the namespaces.
const inside = "ITERDNS_NAMESPACE"

// Isolated reports whether this process is the one in namespaces of its own.
func Isolated() bool { return os.Getenv(inside) != "" }

// Isolate runs this program once more, in a new network namespace. With ownPIDs it has a new process
// namespace too: when it ends, so does everything that it started, but /proc does not show it its
// processes. Without root it needs a user namespace around them, which some systems forbid.
func Isolate(ownPIDs bool) (status int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if ownPIDs {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWPID
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	// The one inside ends as it is told to, and this one after it.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case s := <-signals:
				_ = cmd.Process.Signal(s) // it may have ended
			case <-over:
				return
			}
		}
	}()
	err = cmd.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return max(ended.ExitCode(), 1), nil
	}
	return 0, err
}

// Claim brings the loopback interface up, which has all of 127.0.0.0/8, and makes all addresses of
// the prefixes belong to this host.
func Claim(prefixes ...string) error {
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
