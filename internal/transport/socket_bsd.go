//go:build darwin || freebsd

package transport

import (
	"errors"

	"golang.org/x/sys/unix"
)

// dontFragment4 sets DF.
func dontFragment4(fd uintptr) {
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_DONTFRAG, 1)
}

// dontFragment6 keeps the host from fragmenting; in IPv6 nobody else does.
func dontFragment6(fd uintptr) {
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, 1)
}

// portTaken reports whether another port may be bound where this one was not:
// in use, or reserved by a policy of the host.
func portTaken(err error) bool {
	return errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EACCES)
}
