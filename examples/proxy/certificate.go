package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificate is what the server shows over TLS. It is read again when its file has
// changed, so that a renewed one needs no restart.
type certificate struct {
	certFile, keyFile string

	mu      sync.Mutex
	current *tls.Certificate // guarded by mu
	changed time.Time        // guarded by mu; when the file was, at the time it was read
	looked  time.Time        // guarded by mu
}

// certificateAge is how long a certificate is used before the file is looked at again.
const certificateAge = 10 * time.Second

func readCertificate(certFile, keyFile string) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("-cert, -key: %w", err)
	}
	c.current, c.looked, c.changed = &pair, time.Now(), c.modified()
	return c, nil
}

// get has the signature of tls.Config.GetCertificate. A new certificate that cannot be
// read, or does not fit its key yet, leaves the old one in force.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= certificateAge {
		c.looked = now
		if changed := c.modified(); !changed.Equal(c.changed) {
			if pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile); err == nil {
				c.current, c.changed = &pair, changed
			}
		}
	}
	return c.current, nil
}

func (c *certificate) modified() time.Time {
	info, err := os.Stat(c.certFile)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
