# The same over IPv6.

resource "aws_subnet" "six" {
  vpc_id                                         = aws_vpc.provider.id
  availability_zone                              = local.zones[0]
  ipv6_native                                    = true
  ipv6_cidr_block                                = cidrsubnet(aws_vpc.provider.ipv6_cidr_block, 8, 6)
  assign_ipv6_address_on_creation                = true
  enable_resource_name_dns_aaaa_record_on_launch = true
  private_dns_hostname_type_on_launch            = "resource-name"
}

resource "aws_network_interface" "six" {
  subnet_id       = aws_subnet.six.id
  security_groups = [aws_security_group.server.id]
}

resource "aws_network_interface" "counted_six" {
  subnet_id         = aws_subnet.six.id
  ipv6_prefix_count = var.changed ? 1 : 2
}

resource "aws_vpclattice_resource_gateway" "six" {
  name            = "six"
  vpc_id          = aws_vpc.provider.id
  subnet_ids      = [aws_subnet.six.id]
  ip_address_type = "IPV6"
}

resource "aws_vpclattice_resource_configuration" "six" {
  name                        = "six"
  resource_gateway_identifier = aws_vpclattice_resource_gateway.six.id
  port_ranges                 = ["443", "8000-8010"]
  protocol                    = "TCP"

  resource_configuration_definition {
    ip_resource {
      ip_address = one(aws_network_interface.six.ipv6_addresses)
    }
  }
}

resource "aws_vpc_endpoint" "six" {
  vpc_id                     = aws_vpc.consumer.id
  vpc_endpoint_type          = "Resource"
  resource_configuration_arn = aws_vpclattice_resource_configuration.six.arn
  subnet_ids                 = [aws_subnet.consumer[local.zones[0]].id]
  ip_address_type            = "dualstack"

  depends_on = [aws_network_interface.client] # which has its address by name
}

resource "aws_vpc_endpoint_security_group_association" "six" {
  vpc_endpoint_id   = aws_vpc_endpoint.six.id
  security_group_id = aws_security_group.endpoint.id
}
