package containerd

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/steadpaas/stead"
)

// checkPassage refuses a directory that root of the instances, who is nobody
// on the host, cannot get through to: their file systems could not be mounted.
func checkPassage(dir string) error {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err == nil && info.Mode()&0o001 == 0 {
			return stead.Precondition("instances cannot get through the directory "+at,
				fmt.Sprintf("allow it with: chmod o+x %s", at))
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}
