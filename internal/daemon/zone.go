// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/service"
)

// zonesPerRegion is how many availability zones a region has. On one host they
// are a matter of names only; they let set-ups with several zones be what they
// are on AWS.
const zonesPerRegion = 3

// zonesOf gives the zones of the served regions.
func zonesOf(regions []string) func(string) []service.Zone {
	zones := map[string][]service.Zone{}
	for _, region := range regions {
		for i := range zonesPerRegion {
			zones[region] = append(zones[region], service.Zone{
				Name: region + string(rune('a'+i)),
				ID:   shortRegion(region) + "-az" + strconv.Itoa(i+1),
			})
		}
	}
	return func(region string) []service.Zone { return zones[region] }
}

// directions are how AWS shortens the middle of a region's name in zone ids:
// https://docs.aws.amazon.com/global-infrastructure/latest/regions/az-ids.html
var directions = strings.NewReplacer("north", "n", "south", "s", "east", "e", "west", "w", "central", "c", "gov", "g", "iso", "i")

// shortRegion shortens us-east-1 to use1.
func shortRegion(region string) string {
	parts := strings.Split(region, "-")
	for i := 1; i < len(parts)-1; i++ {
		parts[i] = directions.Replace(parts[i])
	}
	return strings.Join(parts, "")
}
