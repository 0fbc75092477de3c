package realsigned

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/iterdns/iterdns/internal/test/realserver"
)

// signer is a product that signs zones.
type signer struct {
	name       string
	programs   []string
	algorithms map[uint8]string // by what the product calls them
	sign       func(t *testing.T, dir string, z *zone, algorithm string) string
}

func signers() []signer {
	rsa := func(names ...string) map[uint8]string {
		all := make(map[uint8]string)
		for i, number := range []uint8{5, 7, 8, 10, 13, 14, 15, 16} {
			all[number] = names[i]
		}
		return all
	}
	return []signer{
		{"bind", []string{"dnssec-keygen", "dnssec-signzone"}, rsa("RSASHA1", "NSEC3RSASHA1", "RSASHA256", "RSASHA512",
			"ECDSAP256SHA256", "ECDSAP384SHA384", "ED25519", "ED448"), signWithBIND},
		{"knot", []string{"kzonesign"}, rsa("rsasha1", "rsasha1-nsec3-sha1", "rsasha256", "rsasha512",
			"ecdsap256sha256", "ecdsap384sha384", "ed25519", "ed448"), signWithKnot},
		{"ldns", []string{"ldns-keygen", "ldns-signzone"}, rsa("RSASHA1", "RSASHA1-NSEC3-SHA1", "RSASHA256", "RSASHA512",
			"ECDSAP256SHA256", "ECDSAP384SHA384", "ED25519", "ED448"), signWithLDNS},
	}
}

const zoneFile = "unsigned.zone"

func signWithBIND(t *testing.T, dir string, z *zone, algorithm string) string {
	keygen, signzone := realserver.Program(t, "dnssec-keygen"), realserver.Program(t, "dnssec-signzone")
	for _, role := range [][]string{{"-f", "KSK"}, nil} {
		arguments := append([]string{"-q", "-a", algorithm}, role...)
		if z.algorithm <= 10 {
			arguments = append(arguments, "-b", "2048")
		}
		run(t, dir, keygen, append(arguments, z.origin)...)
	}
	arguments := []string{"-q", "-S", "-x", "-o", z.origin, "-f", "signed.zone"}
	if z.denial != "nsec" {
		arguments = append(arguments, "-3", "-")
	}
	if z.denial == "optout" {
		arguments = append(arguments, "-A")
	}
	run(t, dir, signzone, append(arguments, zoneFile)...)
	return readFile(t, dir, "signed.zone")
}

func signWithKnot(t *testing.T, dir string, z *zone, algorithm string) string {
	on := map[bool]string{true: "on", false: "off"}
	config := fmt.Sprintf(`server:
    rundir: %[1]q
database:
    storage: "%[1]s/db"
policy:
  - id: p
    algorithm: %[2]s
    nsec3: %[3]s
    nsec3-opt-out: %[4]s
    nsec3-iterations: 0
    nsec3-salt-length: 0
zone:
  - domain: %[5]s
    storage: %[1]q
    file: %[6]s
    dnssec-signing: on
    dnssec-policy: p
`, dir, algorithm, on[z.denial != "nsec"], on[z.denial == "optout"], z.origin, zoneFile)
	for _, sub := range []string{"db", "out"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, dir, "knot.conf", config)
	run(t, dir, realserver.Program(t, "kzonesign"), "-c", "knot.conf", "-o", filepath.Join(dir, "out"), z.origin)
	files, err := filepath.Glob(filepath.Join(dir, "out", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("kzonesign wrote %v, %v", files, err)
	}
	return readFile(t, filepath.Dir(files[0]), filepath.Base(files[0]))
}

func signWithLDNS(t *testing.T, dir string, z *zone, algorithm string) string {
	keygen, signzone := realserver.Program(t, "ldns-keygen"), realserver.Program(t, "ldns-signzone")
	bits := []string{}
	if z.algorithm <= 10 {
		bits = []string{"-b", "2048"}
	}
	arguments := []string{"-o", strings.TrimSuffix(z.origin, "."), "-f", "signed.zone"}
	if z.denial != "nsec" {
		arguments = append(arguments, "-n", "-t", "0")
	}
	if z.denial == "optout" {
		arguments = append(arguments, "-p")
	}
	arguments = append(arguments, zoneFile)
	for _, role := range [][]string{{"-k"}, nil} {
		key := run(t, dir, keygen, slices.Concat([]string{"-a", algorithm}, bits, role, []string{z.origin})...)
		arguments = append(arguments, strings.TrimSpace(key))
	}
	run(t, dir, signzone, arguments...)
	return readFile(t, dir, "signed.zone")
}

func readFile(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a program in dir and returns what it prints.
func run(t *testing.T, dir, program string, arguments ...string) string {
	t.Helper()
	cmd := exec.Command(program, arguments...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(arguments, " "), err, stderr.String())
	}
	return stdout.String()
}
