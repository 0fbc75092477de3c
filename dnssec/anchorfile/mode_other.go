//go:build !unix

package anchorfile

import "io/fs"

// everybodyWrites knows nothing of permissions that are no mode.
func everybodyWrites(fs.FileMode) bool { return false }
