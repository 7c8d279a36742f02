# What is there already, asked in the ways in which configurations ask.

data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

data "aws_regions" "all" {}

data "aws_availability_zones" "all" {
  state = "available"
}

data "aws_availability_zone" "first" {
  name = local.zones[0]
}

data "aws_vpc" "by_id" {
  id = aws_vpc.consumer.id
}

data "aws_vpc" "by_tag" {
  tags       = { Name = "provider" }
  depends_on = [aws_vpc.provider]
}

data "aws_vpcs" "by_cidr" {
  filter {
    name   = "cidr"
    values = ["10.0.0.0/16"]
  }
  depends_on = [aws_vpc.provider, aws_vpc.consumer]
}

data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "default-for-az"
    values = ["true"]
  }
}

data "aws_prefix_list" "s3" {
  name = "com.amazonaws.${data.aws_region.current.name}.s3"
}

data "aws_ec2_managed_prefix_list" "s3" {
  name = "com.amazonaws.${data.aws_region.current.name}.s3"
}

data "aws_nat_gateways" "none" {
  vpc_id = aws_vpc.consumer.id
}

data "aws_subnet" "by_cidr" {
  vpc_id     = aws_vpc.provider.id
  cidr_block = "10.0.1.0/24"
  depends_on = [aws_subnet.provider]
}

data "aws_subnets" "of_vpc" {
  filter {
    name   = "vpc-id"
    values = [aws_vpc.consumer.id]
  }
  depends_on = [aws_subnet.consumer]
}

data "aws_security_group" "default" {
  vpc_id = aws_vpc.consumer.id
  name   = "default"
}

data "aws_security_groups" "of_vpc" {
  filter {
    name   = "vpc-id"
    values = [aws_vpc.consumer.id]
  }
  depends_on = [aws_security_group.client, aws_security_group.endpoint]
}

data "aws_vpc_security_group_rules" "server" {
  filter {
    name   = "group-id"
    values = [aws_security_group.server.id]
  }
  depends_on = [aws_vpc_security_group_ingress_rule.server, aws_vpc_security_group_ingress_rule.ping, aws_security_group_rule.server]
}

data "aws_vpc_security_group_rule" "server" {
  security_group_rule_id = aws_vpc_security_group_ingress_rule.server.id
}

data "aws_network_interfaces" "of_server" {
  filter {
    name   = "group-id"
    values = [aws_security_group.server.id]
  }
  depends_on = [aws_network_interface.server]
}

data "aws_route_table" "main" {
  vpc_id = aws_vpc.provider.id
  filter {
    name   = "association.main"
    values = ["true"]
  }
}

data "aws_route_tables" "of_vpc" {
  vpc_id = aws_vpc.consumer.id
}

data "aws_network_acls" "of_vpc" {
  vpc_id = aws_vpc.consumer.id
}

data "aws_vpc_dhcp_options" "of_vpc" {
  dhcp_options_id = aws_vpc.consumer.dhcp_options_id
}

data "aws_vpc_endpoint" "this" {
  id = aws_vpc_endpoint.this.id
}

data "aws_vpc_endpoint_associations" "this" {
  vpc_endpoint_id = aws_vpc_endpoint.this.id
}

data "aws_network_interface" "endpoint" {
  count = length(local.zones)
  id    = sort(tolist(aws_vpc_endpoint.this.network_interface_ids))[count.index]
}

output "seen" {
  value = {
    account      = data.aws_caller_identity.current.account_id
    region       = data.aws_region.current.name
    regions      = length(data.aws_regions.all.names)
    zones        = length(data.aws_availability_zones.all.names)
    zone         = data.aws_availability_zone.first.name_suffix
    vpc          = data.aws_vpc.by_id.cidr_block
    same         = data.aws_vpc.by_tag.id == aws_vpc.provider.id
    vpcs         = length(data.aws_vpcs.by_cidr.ids)
    subnet       = data.aws_subnet.by_cidr.id == aws_subnet.provider[local.zones[0]].id
    subnets      = length(data.aws_subnets.of_vpc.ids)
    group        = data.aws_security_group.default.id == aws_vpc.consumer.default_security_group_id
    groups       = length(data.aws_security_groups.of_vpc.ids)
    rules        = length(data.aws_vpc_security_group_rules.server.ids)
    rule         = data.aws_vpc_security_group_rule.server.from_port
    interfaces   = contains(data.aws_network_interfaces.of_server.ids, aws_network_interface.server.id)
    default      = [data.aws_vpc.default.cidr_block, length(data.aws_subnets.default.ids)]
    lists        = data.aws_prefix_list.s3.id == data.aws_ec2_managed_prefix_list.s3.id
    gateways     = length(data.aws_nat_gateways.none.ids)
    table        = data.aws_route_table.main.id == aws_vpc.provider.main_route_table_id
    tables       = length(data.aws_route_tables.of_vpc.ids)
    acls         = one(data.aws_network_acls.of_vpc.ids) == aws_vpc.consumer.default_network_acl_id
    options      = data.aws_vpc_dhcp_options.of_vpc.domain_name_servers
    endpoint     = data.aws_vpc_endpoint.this.vpc_endpoint_type
    associations = length(data.aws_vpc_endpoint_associations.this.associations)
  }
}
