// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"testing"

	"github.com/posternhq/postern/internal/model"
)

// Classes have what RDS says of them.
func TestClassesOfDatabases(t *testing.T) {
	for name, want := range map[string]model.DBClass{
		"db.t3.micro":     {CPUs: 2, Memory: 1024},
		"db.t4g.medium":   {CPUs: 2, Memory: 4096},
		"db.m6g.large":    {CPUs: 2, Memory: 8192},
		"db.r6g.large":    {CPUs: 2, Memory: 16384},
		"db.r5.24xlarge":  {CPUs: 96, Memory: 768 << 10},
		"db.r8g.16xlarge": {CPUs: 64, Memory: 512 << 10},
	} {
		want.Name = name
		if got, ok := model.DBClassOf(name); !ok || got != want {
			t.Errorf("%s: %+v, %t, want %+v", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "db.serverless", "t3.micro", "db.t3", "db.r5.micro", "db.T3.micro"} {
		if c, ok := model.DBClassOf(name); ok {
			t.Errorf("%q is %+v", name, c)
		}
	}
	for _, c := range model.DBClasses() {
		if got, ok := model.DBClassOf(c.Name); !ok || got != c {
			t.Errorf("%s is listed and not found", c.Name)
		}
	}
}
