//go:build unix

package anchorfile

import "io/fs"

// everybodyWrites reports whether all users may write to a file. They must not, since its contents
// decide what is trusted.
func everybodyWrites(mode fs.FileMode) bool { return mode.Perm()&0o002 != 0 }
