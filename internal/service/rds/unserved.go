// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"strings"

	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/service"
)

// refuseUnserved refuses what a request has besides the members that the operation sees to,
// unless it asks for what is so anyway. So nothing is accepted and forgotten.
func refuseUnserved(in any, served ...string) error {
	name, has := service.Unserved(in, asUsual, served...)
	if !has {
		return nil
	}
	why, code := unserved[name], badCombination
	if why == "" {
		why = "it is not served here"
	}
	if strings.Contains(strings.ToLower(name), "kmskeyid") {
		code = "KMSKeyNotAccessibleFault"
	}
	return fault.RDS(code, "%s cannot be used with this request: %s.", name, why)
}

// asUsual are values of members that say what is so without them.
var asUsual = map[string][]string{
	"BackupTarget":                 {"region"},
	"ClusterScalabilityType":       {"standard"},
	"DatabaseInsightsMode":         {"standard"},
	"EngineMode":                   {"provisioned"},
	"MasterUserAuthenticationType": {"password"},
	"NetworkType":                  {"IPV4"},
}

const (
	noKMS     = "there is no Key Management Service here; keys of storage are the operator's"
	noDomain  = "there is no directory service here"
	noMetrics = "monitoring of databases by the host is not served; look at the engine's own views"
	noGlobal  = "databases are in one region"
	noIOPS    = "the storage is the host's, and how fast it is cannot be chosen"
	noClass   = "Multi-AZ DB clusters are not served; make a cluster of aurora-postgresql with readers in other zones"
)

// unserved says for people why members are refused.
var unserved = map[string]string{
	"AdditionalStorageVolumes":           noIOPS,
	"AssociatedRoles":                    "databases cannot take on roles",
	"BackupTarget":                       "backups are kept in the region",
	"BacktrackWindow":                    "databases cannot be turned back",
	"CharacterSetName":                   "databases are made with UTF-8",
	"CloudwatchLogsExportConfiguration":  "there is no CloudWatch here; read logs with DescribeDBLogFiles and DownloadDBLogFilePortion",
	"ClusterScalabilityType":             "clusters are scaled by their instances",
	"CustomIamInstanceProfile":           "RDS Custom is not served",
	"DatabaseInsightsMode":               noMetrics,
	"DBClusterInstanceClass":             noClass,
	"DBParameterGroupName":               "the instances have parameter groups of their own",
	"DBPortNumber":                       "the port cannot be changed; make another database from a snapshot",
	"DBSecurityGroups":                   "DB security groups are of EC2-Classic, which is no more; name VpcSecurityGroupIds",
	"DBSubnetGroupName":                  "a database stays in its subnets",
	"DBSystemId":                         "RDS Custom is not served",
	"DedicatedLogVolume":                 noIOPS,
	"Domain":                             noDomain,
	"DomainAuthSecretArn":                noDomain,
	"DomainDnsIps":                       noDomain,
	"DomainFqdn":                         noDomain,
	"DomainIAMRoleName":                  noDomain,
	"DomainOu":                           noDomain,
	"EnableCloudwatchLogsExports":        "there is no CloudWatch here; read logs with DescribeDBLogFiles and DownloadDBLogFilePortion",
	"EnableCustomerOwnedIp":              "there are no Outposts here",
	"EnableGlobalWriteForwarding":        noGlobal,
	"EnableHttpEndpoint":                 "the Data API is not served; connect to the database",
	"EnableIAMDatabaseAuthentication":    "users of databases log in with passwords",
	"EnableLimitlessDatabase":            "limitless databases are not served",
	"EnableLocalWriteForwarding":         "readers do not forward writes; connect to the writer",
	"EnablePerformanceInsights":          noMetrics,
	"Engine":                             "the engine cannot be changed",
	"EngineMode":                         "only the engine mode provisioned is served",
	"GlobalClusterIdentifier":            noGlobal,
	"Iops":                               noIOPS,
	"KmsKeyId":                           noKMS,
	"MasterUserAuthenticationType":       "users of databases log in with passwords",
	"MasterUserSecretKmsKeyId":           "there is no Key Management Service here; passwords are sealed with keys of Postern's own",
	"MonitoringInterval":                 noMetrics,
	"MonitoringRoleArn":                  noMetrics,
	"MultiAZ":                            "an instance is in one zone; a cluster of aurora-postgresql has readers in others, and fails over to them",
	"MultiTenant":                        "the engine does not have tenants",
	"NcharCharacterSetName":              "the engine does not have it",
	"NetworkType":                        "databases have IPv4 addresses only",
	"NewDBClusterIdentifier":             "databases cannot be renamed, as their names are in certificates and in what others have; make another one from a snapshot",
	"NewDBInstanceIdentifier":            "databases cannot be renamed, as their names are in certificates and in what others have; make another one from a snapshot",
	"OptionGroupName":                    "there are no option groups but the default ones",
	"PerformanceInsightsKMSKeyId":        noMetrics,
	"PerformanceInsightsRetentionPeriod": noMetrics,
	"PreSignedUrl":                       noGlobal,
	"ProcessorFeatures":                  "processors are the host's",
	"PubliclyAccessible":                 "databases are reached inside of VPCs only; reach it through a resource gateway, or a VPC endpoint",
	"RdsCustomClusterConfiguration":      "RDS Custom is not served",
	"ReplicationSourceIdentifier":        noGlobal,
	"ScalingConfiguration":               "only the engine mode provisioned is served",
	"ServerlessV2ScalingConfiguration":   "db.serverless is not served; choose a class with a fixed size",
	"StorageThroughput":                  noIOPS,
	"TagSpecifications":                  "what is made along with it has no tags of its own; use Tags",
	"TdeCredentialArn":                   "the engine does not have it",
	"TdeCredentialPassword":              "the engine does not have it",
	"Timezone":                           "the time zone is UTC; set the parameter timezone",
	"UseDefaultProcessorFeatures":        "processors are the host's",
	"WithExpressConfiguration":           "what a database is made with must be said",
}
