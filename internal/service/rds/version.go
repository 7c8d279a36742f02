// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"strings"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
)

// driver is the name of the driver that runs the version.
func (v version) driver() string { return v.Offer.Driver }

// family is that of the version's parameters, such as postgres15.
func (v version) family() string { return v.Family(v.Major) }

// optionGroup is the option group that every database of the version has.
func (v version) optionGroup() string { return OptionGroupOf(v.Engine, v.Major) }

// findVersion finds the newest installed version that a request may mean: a whole version
// means itself, the beginning of one the newest of those, and none the newest of all.
func (a *API) findVersion(name, wanted *string) (version, error) {
	o, err := checkOffer(service.Value(name))
	if err != nil {
		return version{}, err
	}
	var have []string
	for _, v := range a.versions() {
		switch {
		case v.Engine != o.Engine:
			continue
		case service.Value(wanted) == "" || v.is(*wanted):
			return v, nil
		}
		have = append(have, v.Version)
	}
	if len(have) == 0 {
		return version{}, conflicting("Cannot find version %s for %s: the engine is not installed on this host; install the package %s", service.Value(wanted), o.Engine, o.Package)
	}
	return version{}, conflicting("Cannot find version %s for %s: installed are %s", *wanted, o.Engine, strings.Join(have, ", "))
}

// versionNow gives what a database runs with, also when that is not installed any more.
func versionNow(d *model.Database) version {
	o, _ := engine.OfferOf(d.Engine)
	parts := strings.SplitN(d.Version, ".", 3)
	major := parts[0]
	if o.Driver == engine.DriverMariaDB && len(parts) > 1 {
		major += "." + parts[1]
	}
	return version{Offer: o, Installation: engine.Installation{Driver: o.Driver, Version: d.Version, Major: major}}
}

// checkVersion sees that a change asks for no other version than there is: one that begins
// like it is the same.
func checkVersion(d *model.Database, wanted *string) error {
	if v := service.Value(wanted); v != "" && !versionNow(d).is(v) {
		return conflicting("Cannot upgrade %s from %s to %s: a database keeps the major version of its engine, and has the minor one that is installed on the host", d.Engine, d.Version, v)
	}
	return nil
}
