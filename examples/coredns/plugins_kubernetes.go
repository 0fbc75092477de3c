//go:build kubernetes

package main

// With the tag kubernetes the server knows services and pods. Kubernetes' client makes it
// twice as large, so that it is left out without.
import _ "github.com/coredns/coredns/plugin/kubernetes"
