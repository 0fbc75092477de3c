package transport

import (
	"errors"

	"golang.org/x/sys/windows"
)

// IP_DONTFRAGMENT and IPV6_DONTFRAG of ws2ipdef.h, both 14, which x/sys lacks.
const dontFragmentOption = 14

// dontFragment4 sets DF.
func dontFragment4(fd uintptr) {
	_ = windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_IP, dontFragmentOption, 1)
}

// dontFragment6 keeps the host from fragmenting; in IPv6 nobody else does.
func dontFragment6(fd uintptr) {
	_ = windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_IPV6, dontFragmentOption, 1)
}

// portTaken reports whether another port may be bound where this one was not: in
// use, or within a range that Windows keeps for its own services.
func portTaken(err error) bool {
	return errors.Is(err, windows.WSAEADDRINUSE) || errors.Is(err, windows.WSAEACCES)
}
