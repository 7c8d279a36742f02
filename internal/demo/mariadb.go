// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/aws/shape/rds"
)

// stockName is the server of MariaDB, and the database in it.
const stockName = "stock"

// stockPort is where it is asked.
var stockPort = ports{3306, 3306}

// makeStock asks for the server of MariaDB.
func (d *demo) makeStock(ctx context.Context) error {
	out, err := call[rds.CreateDBInstanceOutput](ctx, d, rds.Service, "CreateDBInstance", &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: new(stockName), Engine: new("mariadb"), DBInstanceClass: new(instanceClass), AllocatedStorage: new(int32(20)), DBName: new(stockName),
		DBSubnetGroupName: new(subnetGroup), VpcSecurityGroupIds: []string{d.world.databaseGroup}, MasterUsername: new(databaseUser), MasterUserPassword: new(password),
	})
	if err != nil {
		return err
	}
	// Its name is told when it is available.
	d.hosted.stock = &offered{name: stockName, arn: *out.DBInstance.DBInstanceArn, children: 1}
	return nil
}

// whoAnswersStock asks MariaDB who it is, and by whom and how it is asked.
const whoAnswersStock = "select @@version as server, current_user() as user, variable_value as tls from information_schema.session_status where variable_name = 'ssl_version'"

// unverified begins what MariaDB's client says when a certificate is not what it believes.
const unverified = "ERROR 2026"

// mariadb shows a question to MariaDB by a name and asks it, in the network of whose turn
// it is. Only whom the certificate names is asked.
func (d *demo) mariadb(ctx context.Context, name, question string) (asked, error) {
	arguments := []string{"--ssl-ca=" + d.hosted.authority, "--ssl-verify-server-cert", fmt.Sprintf("--connect-timeout=%d", connectTimeout),
		"-h", name, "-u", databaseUser, "-p" + password, "-t", stockName, "-e"}
	w := d.world
	d.showProgram(w.consumer.subnet, w.clientGroup, w.client, slices.Concat([]string{"mariadb"}, arguments, []string{quote(question)})...)
	// The first argument keeps out what the machine has set up for its own user.
	program := slices.Concat([]string{d.config.Self, "time", d.tools.mariadb, "--no-defaults"}, arguments, []string{question})
	return askedOf(run(ctx, d.workload(w.consumer.subnet, w.clientGroup, w.client, program...)))
}

func (d *demo) askStock(ctx context.Context) error {
	got, err := d.mariadb(ctx, d.hosted.stock.names[0], whoAnswersStock)
	if err != nil {
		return err
	}
	if got.status != 0 || !strings.Contains(got.output, "| "+databaseUser+"@") || !strings.Contains(got.output, "| TLSv1.") {
		return fmt.Errorf("mariadb ended with status %d and was not told who answers:\n%s", got.status, got.output)
	}
	d.screen.say(got.output)
	d.screen.done("the certificate is for the name that was asked by")
	return nil
}
