package buildkit

import "github.com/steadpaas/stead"

func unavailable(err error) error {
	return stead.Unavailable("the build daemon does not answer", "try again in a moment; \"stead status\" shows the builder", err)
}
