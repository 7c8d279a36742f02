// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// mirrorVariable names the folder of a mirror, laid out as Terraform wants it:
// https://developer.hashicorp.com/terraform/cli/config/config-file#explicit-installation-method-configuration
const mirrorVariable = "POSTERN_TERRAFORM_MIRROR"

// registry is where the AWS provider is in a mirror.
const registry = "registry.terraform.io/hashicorp/aws"

// usualMirrors are the folders in which Terraform looks by itself, its cache,
// and those directly below /opt that hold a provider.
func usualMirrors() []string {
	home, _ := os.UserHomeDir()
	share := os.Getenv("XDG_DATA_HOME")
	if share == "" {
		share = filepath.Join(home, ".local/share")
	}
	folders := []string{
		filepath.Join(home, ".terraform.d/plugins"), filepath.Join(share, "terraform/plugins"),
		"/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins", "/opt/*",
	}
	if cache := os.Getenv("TF_PLUGIN_CACHE_DIR"); cache != "" {
		folders = append([]string{cache}, folders...)
	}
	return folders
}

// findMirror gives the folder of the first mirror that has the AWS provider for
// this machine, in a version that knows resource endpoints, or nothing.
func findMirror() string {
	folders := usualMirrors()
	if named := os.Getenv(mirrorVariable); named != "" {
		folders = []string{named}
	}
	platform := runtime.GOOS + "_" + runtime.GOARCH
	for _, folder := range folders {
		for _, layout := range []string{"*/" + platform, "terraform-provider-aws_*_" + platform + ".zip"} {
			found, _ := filepath.Glob(filepath.Join(folder, registry, layout))
			for _, provider := range found {
				// The pattern may have chosen the folder, too.
				if mirror, name, _ := strings.Cut(provider, "/"+registry+"/"); recent(strings.TrimPrefix(name, "terraform-provider-aws_"), 5, 100) {
					return mirror
				}
			}
		}
	}
	return ""
}

// recent tells whether a version, which may have something after it, is not
// older than another one.
func recent(version string, major, minor int) bool {
	var gotMajor, gotMinor int
	if _, err := fmt.Sscanf(version, "%d.%d", &gotMajor, &gotMinor); err != nil {
		return false
	}
	return gotMajor > major || gotMajor == major && gotMinor >= minor
}

// configuration is Terraform's own: providers come from the mirror only, and
// nobody is asked for new versions.
func configuration(mirror string) string {
	return fmt.Sprintf(`disable_checkpoint = true
provider_installation {
  filesystem_mirror {
    path    = %q
    include = ["registry.terraform.io/*/*"]
  }
}
`, mirror)
}
