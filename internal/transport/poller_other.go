//go:build !linux

package transport

import (
	"errors"
	"net/netip"
)

// poller is nil here: the sockets are those of package net.
type poller struct{}

var errNoPoller = errors.New("no poller")

func newPoller() *poller { return nil }

func (*poller) openSocket(netip.AddrPort, func() uint16) (socket, error) { return nil, errNoPoller }

func (*poller) close() {}
