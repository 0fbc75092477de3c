package main

import (
	"net"
	"os"
)

// notify tells systemd how the service is (sd_notify(3)); without systemd it does
// nothing. That it cannot be told is no reason not to serve.
func notify(state string) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	conn, err := net.Dial("unixgram", socket)
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(state))
}
