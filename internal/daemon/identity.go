package daemon

import (
	"fmt"
	"os"
	"os/user"
	"strconv"

	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/route"
)

// routerID is the router's user and group when the machine has no user
// stead-router. It is below the instances' ids and in no distribution's range.
const routerID = 999_990

// routerIdentity is whom the router becomes; nil: it stays who it is, because it
// is not root, or was told to.
func (c *Config) routerIdentity() (*route.Identity, error) {
	if os.Geteuid() != 0 || c.RouterUser == "root" {
		return nil, nil
	}
	if n, err := strconv.Atoi(c.RouterUser); err == nil && n > 0 {
		return &route.Identity{UID: n, GID: n}, nil
	}
	u, err := user.Lookup(c.RouterUser)
	if err != nil {
		if c.RouterUser == Defaults().RouterUser {
			return &route.Identity{UID: routerID, GID: routerID}, nil
		}
		return nil, stead.Invalid("router-user", fmt.Sprintf("there is no user %q on this machine", c.RouterUser), "make it (useradd --system), or give a number")
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	return &route.Identity{UID: uid, GID: gid}, err
}
