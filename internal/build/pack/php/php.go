// Package php builds PHP apps: Composer's packages, and nginx with PHP-FPM or
// Apache in front, whichever the app is written for.
package php

import (
	_ "embed"
	"io/fs"
	"slices"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/steadpaas/stead"
	"github.com/steadpaas/stead/internal/build"
	"github.com/steadpaas/stead/internal/build/pack/node"
	"github.com/steadpaas/stead/internal/build/pack/plan"
)

//go:embed serve.sh
var serve []byte

//go:embed nginx.conf
var nginxConf []byte

//go:embed apache.conf
var apacheConf []byte

// Pack is the pack "php".
type Pack struct{}

// Name implements plan.Pack.
func (Pack) Name() string { return "php" }

// Marks implements plan.Pack.
func (Pack) Marks() []string { return []string{"composer.json", "index.php", "public/index.php"} }

// Detect implements plan.Pack.
func (Pack) Detect(tree fs.FS) (*plan.Detected, error) {
	a, err := look(tree)
	if err != nil || a == nil {
		return nil, err
	}
	if a.node, err = node.Beside(tree); err != nil {
		return nil, err
	}
	if a.node != nil && a.node.Script() == "" {
		a.node = nil
	}
	procs := map[string]stead.Command{"web": {server + a.server, a.docroot}}
	d := &plan.Detected{Pack: "php", Summary: a.summary(), Processes: procs, Notes: a.notes, LLB: a.plan}
	if a.node != nil {
		d.With = []string{"node"}
	}
	return d, nil
}

func (a *app) summary() string {
	s := "PHP " + a.line.Version
	if a.asked.From != "" {
		s += " (" + a.asked.From + ")"
	}
	if a.composer {
		s += ", Composer"
	}
	return s + ", " + map[string]string{"nginx": "nginx and PHP-FPM", "apache2": "Apache"}[a.server] + ", document root " + a.docroot
}

// Where the servers' scripts are; Heroku's names for them lead there too.
const server = "/opt/stead/bin/heroku-php-"

// plan is the image: PHP and its server, what Composer installs, the app's own
// files, in this order, from what changes least to what changes most.
func (a *app) plan(in plan.Inputs) (plan.Output, error) {
	st := in.Install(in.Run, a.line.Suite, "PHP "+a.line.Version+" and "+a.server, slices.Concat(a.packages(), a.serverPackages())...)
	st = st.File(llb.Mkdir("/opt/stead/bin", 0o755, llb.WithParents(true)).
		Mkfile("/opt/stead/nginx.conf", 0o644, nginxConf).Mkfile("/opt/stead/apache.conf", 0o644, apacheConf).
		Mkfile("/opt/stead/php.ini", 0o644, []byte(phpINI)).
		Mkfile(server+"nginx", 0o755, serve).Mkfile(server+"apache2", 0o755, serve), llb.WithCustomName("configure the web server"))
	own, dir := in.Source, "/"
	if a.composer || a.node != nil {
		var err error
		if own, err = a.built(in); err != nil {
			return plan.Output{}, err
		}
		dir = "/app"
		st = plan.CopyApp(st, own, "/app", "/app", "copy installed packages", "*", "!vendor")
	}
	exclude := []string{".git", "node_modules"}
	if a.composer {
		exclude = append(exclude, "vendor")
	}
	st = plan.CopyApp(st, own, dir, "/app", "copy the app", exclude...)
	if a.shims {
		st = st.File(llb.Mkdir("/app/vendor/bin", 0o755, llb.WithParents(true), llb.WithUIDGID(plan.AppUser, plan.AppUser)), llb.WithCustomName("[internal] vendor/bin")).
			File(llb.Symlink(server+"nginx", "/app/vendor/bin/heroku-php-nginx").Symlink(server+"apache2", "/app/vendor/bin/heroku-php-apache2"),
				llb.WithCustomName("link vendor/bin/heroku-php-*"))
	}
	return plan.Output{State: st, Config: plan.Image([]string{"/opt/stead/bin", "/app/vendor/bin"},
		"PHP_INI_SCAN_DIR=/etc/php/"+a.line.Version+"/cli/conf.d:/opt/stead", "STEAD_PHP="+a.line.Version, "LANG=C.UTF-8")}, nil
}

// phpINI is for production, as in PHP's own php.ini-production.
const phpINI = `display_errors=Off
log_errors=On
error_log=/dev/stderr
expose_php=Off
memory_limit=256M
upload_max_filesize=64M
post_max_size=64M
variables_order=EGPCS
opcache.enable=1
opcache.validate_timestamps=0
realpath_cache_ttl=600
date.timezone=UTC
`

// always are the extensions that nearly every app takes for granted.
var always = []string{"cli", "fpm", "bcmath", "curl", "gd", "intl", "mbstring", "mysql", "opcache", "pgsql", "sqlite3", "xml", "zip"}

// extra are those that an app gets when its composer files ask for them.
var extra = map[string]string{"amqp": "amqp", "apcu": "apcu", "gmp": "gmp", "imagick": "imagick", "imap": "imap", "ldap": "ldap", "memcached": "memcached",
	"mongodb": "mongodb", "redis": "redis", "soap": "soap", "ssh2": "ssh2", "tidy": "tidy", "xsl": "xsl", "yaml": "yaml", "gnupg": "gnupg", "igbinary": "igbinary"}

func (a *app) packages() (out []string) {
	for _, e := range slices.Concat(always, a.extensions) {
		out = append(out, "php"+a.line.Version+"-"+e)
	}
	return out
}

func (a *app) serverPackages() []string {
	if a.server == "apache2" {
		return []string{"apache2", "libapache2-mod-php" + a.line.Version}
	}
	return []string{"nginx-light"}
}

// built is the build image with the app in /app, its packages and assets in place.
func (a *app) built(in plan.Inputs) (llb.State, error) {
	st := in.Install(in.Build, a.line.Suite, "PHP "+a.line.Version+" and Composer", append(a.packages(), "composer")...).Dir("/app")
	if a.composer && !a.whole {
		st = plan.CopyAppFiles(st, in.Source, "/app", "copy the lists of packages", "composer.json", "composer.lock", "auth.json")
		st = a.compose(in, st, "composer install", "--no-scripts", "--no-autoloader")
	}
	if a.node != nil {
		var err error
		if st, err = a.node.Installed(in, st); err != nil {
			return st, err
		}
	}
	st = plan.CopyApp(st, in.Source, "/", "/app", "copy the source", ".git", "vendor", "node_modules")
	if a.composer {
		st = a.compose(in, st, "composer install: autoloader and scripts", "--optimize-autoloader")
	}
	if a.node != nil {
		return a.node.Built(in, st)
	}
	return st, nil
}

func (a *app) compose(in plan.Inputs, st llb.State, title string, more ...string) llb.State {
	argv := append([]string{"/usr/bin/composer", "install", "--no-dev", "--prefer-dist", "--no-interaction", "--no-progress"}, more...)
	return st.Run(plan.Options(in.Step(title, "", argv...), in.Cache("composer", "/cache/composer"), plan.Env("COMPOSER_HOME", "/tmp/composer"),
		plan.Env("COMPOSER_CACHE_DIR", "/cache/composer"), plan.Env("COMPOSER_NO_AUDIT", "1"), plan.Env("COMPOSER_MEMORY_LIMIT", "-1"),
		in.Mirrored(build.MirrorPackagist))).Root()
}

// heroku reports whether the Procfile starts the web by one of Heroku's
// servers, and by which.
func heroku(procfile string) (server string, shims bool) {
	for _, s := range []string{"nginx", "apache2"} {
		if strings.Contains(procfile, "heroku-php-"+s) {
			return s, strings.Contains(procfile, "vendor/bin/heroku-php-"+s)
		}
	}
	return "", false
}
