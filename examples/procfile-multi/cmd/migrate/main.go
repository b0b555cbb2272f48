// Command migrate is the release phase: here, it only says so. Set
// FAIL_RELEASE to see a release that fails.
package main

import (
	"log"
	"os"
)

func main() {
	if os.Getenv("FAIL_RELEASE") != "" {
		log.Fatal("migration failed, as FAIL_RELEASE asks for")
	}
	log.Println("nothing to migrate")
}
