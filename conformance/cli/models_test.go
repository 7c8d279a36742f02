// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// models is where the descriptions of the served operations are.
var models = filepath.FromSlash("../../tool/awsgen/models")

// lists says which member of the answer holds the items of a list, by service
// and operation. The tokens have the same names in each service.
var lists = map[string]map[string]string{
	"ec2": {
		"DescribeVpcs": "Vpcs", "DescribeSubnets": "Subnets", "DescribeSecurityGroups": "SecurityGroups",
		"DescribeSecurityGroupRules": "SecurityGroupRules", "DescribeNetworkInterfaces": "NetworkInterfaces",
		"DescribeVpcEndpoints": "VpcEndpoints", "DescribeVpcEndpointAssociations": "VpcEndpointAssociations",
		"DescribeRouteTables": "RouteTables", "DescribeNetworkAcls": "NetworkAcls", "DescribeTags": "Tags",
		"DescribeDhcpOptions": "DhcpOptions", "DescribeInternetGateways": "InternetGateways", "DescribePrefixLists": "PrefixLists",
		"DescribeNatGateways": "NatGateways", "DescribeEgressOnlyInternetGateways": "EgressOnlyInternetGateways",
		"DescribeManagedPrefixLists": "PrefixLists", "GetManagedPrefixListEntries": "Entries",
	},
	"cloudtrail": {"LookupEvents": "Events"},
	"vpc-lattice": {
		"ListResourceGateways": "items", "ListResourceConfigurations": "items", "ListResourceEndpointAssociations": "items",
	},
}

// pagesOfRoute53 are the paginators of the AWS CLI's own description of Route 53, whose
// lists say in words of their own where they go on.
var pagesOfRoute53 = map[string]any{
	"ListHostedZones": map[string]any{
		"more_results": "IsTruncated", "limit_key": "MaxItems", "result_key": "HostedZones", "input_token": "Marker", "output_token": "NextMarker",
	},
	"ListResourceRecordSets": map[string]any{
		"more_results": "IsTruncated", "limit_key": "MaxItems", "result_key": "ResourceRecordSets",
		"input_token":  []string{"StartRecordName", "StartRecordType", "StartRecordIdentifier"},
		"output_token": []string{"NextRecordName", "NextRecordType", "NextRecordIdentifier"},
	},
}

// pagesOfIAM are those of IAM.
var pagesOfIAM = map[string]any{
	"ListUsers": map[string]any{
		"more_results": "IsTruncated", "limit_key": "MaxItems", "result_key": "Users", "input_token": "Marker", "output_token": "Marker",
	},
	"GetGroup": map[string]any{
		"more_results": "IsTruncated", "limit_key": "MaxItems", "result_key": "Users", "input_token": "Marker", "output_token": "Marker",
		"non_aggregate_keys": []string{"Group"},
	},
}

// waitsOfIAM are what `aws iam wait` can wait for.
var waitsOfIAM = map[string]any{
	"UserExists": map[string]any{
		"operation": "GetUser", "delay": 1, "maxAttempts": 30,
		"acceptors": []map[string]any{{"state": "success", "matcher": "status", "expected": 200}, {"state": "retry", "matcher": "error", "expected": "NoSuchEntity"}},
	},
}

// tokens are the names of token and page size in requests and answers.
var tokens = map[string][2]string{
	"ec2": {"NextToken", "MaxResults"}, "vpc-lattice": {"nextToken", "maxResults"}, "cloudtrail": {"NextToken", "MaxResults"},
}

// waitsOf are what can be waited for, by service.
var waitsOf = map[string]map[string]any{"ec2": waits, "iam": waitsOfIAM}

// waits are what `aws ec2 wait` can wait for.
var waits = map[string]any{
	"VpcAvailable":              waitForState("DescribeVpcs", "Vpcs[].State", "available"),
	"SubnetAvailable":           waitForState("DescribeSubnets", "Subnets[].State", "available"),
	"NetworkInterfaceAvailable": waitForState("DescribeNetworkInterfaces", "NetworkInterfaces[].Status", "available"),
	"VpcEndpointAvailable":      waitForState("DescribeVpcEndpoints", "VpcEndpoints[].State", "available"),
	"NatGatewayAvailable":       waitForState("DescribeNatGateways", "NatGateways[].State", "available"),
	"NatGatewayDeleted":         waitForState("DescribeNatGateways", "NatGateways[].State", "deleted"),
}

func waitForState(operation, argument, state string) map[string]any {
	return map[string]any{
		"operation": operation, "delay": 1, "maxAttempts": 30,
		"acceptors": []map[string]string{{"state": "success", "matcher": "pathAll", "argument": argument, "expected": state}},
	}
}

// teach lays the models out in dir as AWS_DATA_PATH wants them, so that an AWS
// CLI of any age knows the served operations, and these only.
func teach(dir string) error {
	for _, service := range []string{"ec2", "vpc-lattice", "route53", "sts", "iam", "cloudtrail", "organizations", "elasticloadbalancing", "postern"} {
		text, err := os.ReadFile(filepath.Join(models, service+".json"))
		if err != nil {
			return err
		}
		var model struct {
			Metadata   struct{ APIVersion string }
			Operations map[string]any
		}
		if err := json.Unmarshal(text, &model); err != nil {
			return fmt.Errorf("read model of %s: %w", service, err)
		}
		folder := filepath.Join(dir, folderOf(service), model.Metadata.APIVersion)
		files := map[string]any{"service-2.json": json.RawMessage(text), "paginators-1.json": paginators(service, slices.Collect(maps.Keys(model.Operations)))}
		if waits := waitsOf[service]; waits != nil {
			files["waiters-2.json"] = map[string]any{"version": 2, "waiters": waits}
		}
		if err := write(folder, files); err != nil {
			return err
		}
	}
	return nil
}

// folderOf is how the AWS CLI calls a service: of Elastic Load Balancing it knows two.
func folderOf(service string) string {
	if service == "elasticloadbalancing" {
		return "elbv2"
	}
	return service
}

func paginators(service string, operations []string) map[string]any {
	all := map[string]any{}
	for operation, items := range lists[service] {
		if slices.Contains(operations, operation) {
			all[operation] = map[string]string{
				"input_token": tokens[service][0], "output_token": tokens[service][0], "limit_key": tokens[service][1], "result_key": items,
			}
		}
	}
	switch service {
	case "route53":
		all = pagesOfRoute53
	case "iam":
		all = pagesOfIAM
	}
	return map[string]any{"pagination": all}
}

func write(folder string, files map[string]any) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		text, err := json.Marshal(content)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
