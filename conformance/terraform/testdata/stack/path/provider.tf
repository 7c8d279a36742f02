# The provider of the resource: a network of its own, the server's interface,
# and a gateway into it.

resource "aws_vpc" "provider" {
  cidr_block                       = "10.0.0.0/16"
  assign_generated_ipv6_cidr_block = true
  tags                             = { Name = "provider" }
}

resource "aws_vpc_ipv4_cidr_block_association" "more" {
  vpc_id     = aws_vpc.provider.id
  cidr_block = "10.1.0.0/16"
}

resource "aws_subnet" "provider" {
  for_each = { for i, zone in local.zones : zone => i }

  vpc_id            = aws_vpc.provider.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(aws_vpc.provider.cidr_block, 8, each.value + 1)
  tags              = { Name = "provider-${each.key}" }
}

resource "aws_subnet" "more" {
  vpc_id     = aws_vpc_ipv4_cidr_block_association.more.vpc_id
  cidr_block = cidrsubnet(aws_vpc_ipv4_cidr_block_association.more.cidr_block, 8, 0)
}

resource "aws_subnet" "containers" {
  vpc_id          = aws_vpc_ipv4_cidr_block_association.more.vpc_id
  cidr_block      = cidrsubnet(aws_vpc_ipv4_cidr_block_association.more.cidr_block, 8, 1)
  ipv6_cidr_block = cidrsubnet(aws_vpc.provider.ipv6_cidr_block, 8, 7)
}

# Where the gateway takes no addresses: the server has its own by name.
resource "aws_subnet" "servers" {
  vpc_id            = aws_vpc.provider.id
  availability_zone = local.zones[0]
  cidr_block        = cidrsubnet(aws_vpc.provider.cidr_block, 8, 8)
}

# Rules as resources of their own.
resource "aws_security_group" "gateway" {
  name   = "gateway"
  vpc_id = aws_vpc.provider.id
}

resource "aws_vpc_security_group_egress_rule" "gateway" {
  security_group_id            = aws_security_group.gateway.id
  referenced_security_group_id = aws_security_group.server.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = var.changed ? local.port + 1 : local.port
  tags                         = { Name = "to the server" }
}

resource "aws_security_group" "server" {
  name_prefix = "server-"
  description = "The server."
  vpc_id      = aws_vpc.provider.id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "server" {
  security_group_id            = aws_security_group.server.id
  referenced_security_group_id = aws_security_group.gateway.id
  description                  = var.changed ? "From the gateway." : null
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

resource "aws_vpc_security_group_ingress_rule" "ping" {
  security_group_id = aws_security_group.server.id
  cidr_ipv4         = aws_vpc.provider.cidr_block
  ip_protocol       = "icmp"
  from_port         = 8
  to_port           = 0
}

resource "aws_security_group_rule" "server" {
  security_group_id = aws_security_group.server.id
  type              = "egress"
  protocol          = "-1"
  from_port         = 0
  to_port           = 0
  cidr_blocks       = ["0.0.0.0/0"]
  ipv6_cidr_blocks  = ["::/0"]
}

resource "aws_network_interface" "server" {
  subnet_id         = aws_subnet.servers.id
  private_ips       = var.changed ? ["10.0.8.10", "10.0.8.20"] : ["10.0.8.10"]
  security_groups   = [aws_security_group.server.id]
  description       = var.changed ? "the database" : "a database"
  source_dest_check = !var.changed
  tags              = { Name = "server" }
}

resource "aws_vpclattice_resource_gateway" "this" {
  name               = "databases"
  vpc_id             = aws_vpc.provider.id
  subnet_ids         = [for s in aws_subnet.provider : s.id]
  security_group_ids = var.changed ? [aws_security_group.gateway.id, aws_default_security_group.provider.id] : [aws_security_group.gateway.id]
}

resource "aws_vpclattice_resource_configuration" "this" {
  name                        = "database"
  resource_gateway_identifier = aws_vpclattice_resource_gateway.this.id
  port_ranges                 = local.ports
  protocol                    = "TCP"

  resource_configuration_definition {
    ip_resource {
      ip_address = aws_network_interface.server.private_ip
    }
  }
  tags = { Name = "database" }
}

# A group that something else adds to an interface.
resource "aws_security_group" "attached" {
  name   = "attached"
  vpc_id = aws_vpc.provider.id
}

resource "aws_network_interface" "bare" {
  subnet_id         = aws_subnet.more.id
  private_ips_count = 2

  lifecycle {
    ignore_changes = [security_groups]
  }
}

# Prefixes for containers, where nothing else takes addresses.
resource "aws_network_interface" "containers" {
  subnet_id     = aws_subnet.containers.id
  ipv4_prefixes = var.changed ? ["10.1.1.32/28", "10.1.1.64/28"] : ["10.1.1.16/28", "10.1.1.32/28", "10.1.1.64/28"]
  ipv6_prefixes = [for i in var.changed ? [3, 4] : [2, 3] : cidrsubnet(aws_subnet.containers.ipv6_cidr_block, 16, i)]
}

resource "aws_network_interface" "counted" {
  subnet_id         = aws_subnet.more.id
  ipv4_prefix_count = var.changed ? 2 : 1
}

resource "aws_network_interface_sg_attachment" "bare" {
  security_group_id    = aws_security_group.attached.id
  network_interface_id = aws_network_interface.bare.id
}

# What every VPC comes with.
resource "aws_default_route_table" "provider" {
  default_route_table_id = aws_vpc.provider.default_route_table_id
}

resource "aws_default_security_group" "provider" {
  vpc_id = aws_vpc.provider.id
}

resource "aws_ec2_tag" "options" {
  resource_id = aws_vpc.provider.default_network_acl_id
  key         = "Name"
  value       = var.changed ? "open" : "all open"
}

resource "aws_vpc_dhcp_options" "provider" {
  domain_name          = var.changed ? "corp.example.com" : "example.com"
  domain_name_servers  = ["10.0.1.53", "AmazonProvidedDNS"]
  ntp_servers          = ["10.0.1.123"]
  netbios_name_servers = ["10.0.1.137"]
  netbios_node_type    = 2
  tags                 = { Name = "provider" }
}

resource "aws_vpc_dhcp_options_association" "provider" {
  vpc_id          = aws_vpc.provider.id
  dhcp_options_id = aws_vpc_dhcp_options.provider.id
}
