//go:build !linux

package main

import (
	"net"
	"net/netip"
)

// listenUDP opens one socket: only Linux deals datagrams to several by client.
func listenUDP(address netip.AddrPort, _ int) ([]*net.UDPConn, error) {
	conn, err := net.ListenUDP(network("udp", address), net.UDPAddrFromAddrPort(address))
	if err != nil {
		return nil, err
	}
	return []*net.UDPConn{conn}, nil
}

// wasBroadcast is known on Linux only. Elsewhere an answer from the broadcast address of a
// network is one that cannot be sent.
func wasBroadcast([]byte) bool { return false }
