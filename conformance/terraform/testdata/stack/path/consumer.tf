# The consumer: the same addresses, and an endpoint among them.

resource "aws_vpc" "consumer" {
  cidr_block                       = "10.0.0.0/16"
  assign_generated_ipv6_cidr_block = true
  enable_dns_hostnames             = var.changed
  tags                             = { Name = "consumer" }
}

resource "aws_subnet" "consumer" {
  for_each = { for i, zone in local.zones : zone => i }

  vpc_id                          = aws_vpc.consumer.id
  availability_zone               = each.key
  cidr_block                      = cidrsubnet(aws_vpc.consumer.cidr_block, 8, each.value + 1)
  ipv6_cidr_block                 = cidrsubnet(aws_vpc.consumer.ipv6_cidr_block, 8, each.value)
  assign_ipv6_address_on_creation = var.changed
  map_public_ip_on_launch         = var.changed
  tags                            = { Name = "consumer-${each.key}" }
}

# Rules within the group.
resource "aws_security_group" "client" {
  name   = "client"
  vpc_id = aws_vpc.consumer.id

  ingress {
    description = "members, and a network"
    protocol    = "tcp"
    from_port   = 22
    to_port     = var.changed ? 23 : 22
    cidr_blocks = ["10.0.0.0/16", "192.168.0.0/24"]
    self        = true
  }
  egress {
    protocol         = "-1"
    from_port        = 0
    to_port          = 0
    cidr_blocks      = ["0.0.0.0/0"]
    ipv6_cidr_blocks = ["::/0"]
  }
}

resource "aws_security_group" "endpoint" {
  name   = "endpoint"
  vpc_id = aws_vpc.consumer.id

  ingress {
    protocol        = "tcp"
    from_port       = local.port
    to_port         = local.port
    security_groups = [aws_security_group.client.id]
  }
}

resource "aws_network_interface" "client" {
  subnet_id          = aws_subnet.consumer[local.zones[0]].id
  private_ips        = ["10.0.1.10"]
  ipv6_address_count = 1
  security_groups    = [aws_security_group.client.id]
}

resource "aws_vpc_endpoint" "this" {
  vpc_id                     = aws_vpc.consumer.id
  vpc_endpoint_type          = "Resource"
  resource_configuration_arn = aws_vpclattice_resource_configuration.this.arn
  subnet_ids                 = [for s in aws_subnet.consumer : s.id]
  security_group_ids         = var.changed ? [aws_security_group.endpoint.id, aws_security_group.client.id] : [aws_security_group.endpoint.id]
  tags                       = { Name = "database" }

  depends_on = [aws_network_interface.client] # which has its address by name
}

output "endpoint" {
  value = {
    endpoint = data.aws_network_interface.endpoint[*].private_ip
    gateway  = [for s in aws_subnet.provider : s.cidr_block]
    server   = aws_network_interface.server.id
    subnet   = aws_subnet.consumer[local.zones[0]].id
    group    = aws_security_group.client.id
  }
}
