// SPDX-License-Identifier: Apache-2.0

package model

import (
	"slices"
	"strings"
)

// DBClass is a class of database instances, which says how much memory a server plans with.
type DBClass struct {
	// Name is in the words of RDS, such as db.t3.micro.
	Name string
	// CPUs are what it would have on AWS. Here a server has those of its host.
	CPUs int
	// Memory is in MiB.
	Memory int64
}

// Families of classes, and what their sizes have
// (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.DBInstanceClass.Summary.html).
var (
	smallFamilies   = []string{"t3", "t4g"}
	generalFamilies = []string{"m5", "m6g", "m6i", "m7g", "m7i", "m8g"}
	memoryFamilies  = []string{"r5", "r6g", "r6i", "r7g", "r7i", "r8g"}
	smallSizes      = []DBClass{{"micro", 2, 1 << 10}, {"small", 2, 2 << 10}, {"medium", 2, 4 << 10}, {"large", 2, 8 << 10}, {"xlarge", 4, 16 << 10}, {"2xlarge", 8, 32 << 10}}
	largeSizes      = []DBClass{{Name: "large", CPUs: 2}, {Name: "xlarge", CPUs: 4}, {Name: "2xlarge", CPUs: 8}, {Name: "4xlarge", CPUs: 16}, {Name: "8xlarge", CPUs: 32}, {Name: "12xlarge", CPUs: 48}, {Name: "16xlarge", CPUs: 64}, {Name: "24xlarge", CPUs: 96}}
)

// MiB for each CPU of the families that have all in one proportion.
const (
	generalMemory = 4 << 10
	memoryMemory  = 8 << 10
)

var dbClasses = func() (all []DBClass) {
	add := func(families []string, sizes []DBClass, each int64) {
		for _, f := range families {
			for _, s := range sizes {
				c := DBClass{"db." + f + "." + s.Name, s.CPUs, s.Memory}
				if each > 0 {
					c.Memory = each * int64(s.CPUs)
				}
				all = append(all, c)
			}
		}
	}
	add(smallFamilies, smallSizes, 0)
	add(generalFamilies, largeSizes, generalMemory)
	add(memoryFamilies, largeSizes, memoryMemory)
	slices.SortFunc(all, func(a, b DBClass) int { return strings.Compare(a.Name, b.Name) })
	return all
}()

// DBClasses lists all classes by name.
func DBClasses() []DBClass { return slices.Clone(dbClasses) }

// DBClassOf finds a class by its name.
func DBClassOf(name string) (DBClass, bool) {
	i, ok := slices.BinarySearchFunc(dbClasses, name, func(c DBClass, name string) int { return strings.Compare(c.Name, name) })
	if !ok {
		return DBClass{}, false
	}
	return dbClasses[i], true
}
