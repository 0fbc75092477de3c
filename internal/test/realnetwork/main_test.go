package realnetwork

import (
	"fmt"
	"os"
	"testing"

	"github.com/iterdns/iterdns/internal/test/netns"
)

// noNamespace is why there is no namespace; nil inside one.
var noNamespace error

// TestMain runs the tests once more in namespaces of their own, and ends as they do. Processes that
// they leave end with the namespace.
func TestMain(m *testing.M) {
	if !netns.Isolated() {
		var status int
		if status, noNamespace = netns.Isolate(false); noNamespace == nil {
			os.Exit(status)
		}
		noNamespace = fmt.Errorf("make a network namespace: %w", noNamespace)
	}
	os.Exit(m.Run())
}
