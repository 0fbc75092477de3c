//go:build !unix

package anchorfile

import "io/fs"

// syncDir does nothing where folders cannot be synchronised.
func syncDir(string) error { return nil }

// everybodyWrites knows nothing of permissions that are no mode.
func everybodyWrites(fs.FileMode) bool { return false }
