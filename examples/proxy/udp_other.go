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
