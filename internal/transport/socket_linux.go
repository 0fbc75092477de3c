package transport

import (
	"errors"

	"golang.org/x/sys/unix"
)

// dontFragment4 sets DF and keeps the host from believing ICMP messages about
// the size of the path, which can be forged: PROBE, not DO.
func dontFragment4(fd uintptr) {
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
}

// dontFragment6 is the same for IPv6, where only the host itself could fragment.
func dontFragment6(fd uintptr) {
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
}

// portTaken reports whether another port may be bound where this one was not:
// in use, or reserved by a policy of the host.
func portTaken(err error) bool {
	return errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EACCES)
}
