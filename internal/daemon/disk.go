package daemon

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/steadpaas/stead"
)

// minFree is the room below which Status warns.
const minFree = 2 << 30

// diskCheck tells how much room the data directory's file system has.
func diskCheck(dir string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", fmt.Errorf("look at the disk: %w", err)
	}
	free := int64(st.Bavail) * st.Bsize
	detail := fmt.Sprintf("%d GiB free in %s", free>>30, dir)
	if free < minFree {
		return "", stead.Unavailable("only "+detail, "make room; builds and logs need it", nil)
	}
	return detail, nil
}
