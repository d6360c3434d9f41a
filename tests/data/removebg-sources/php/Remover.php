<?php

namespace Shop;

use Mtownsend\RemoveBg\RemoveBg;

class Remover
{
    public function cutOut(string $path, string $key): string
    {
        $client = new RemoveBg($key);
        return $client->file($path)->get();
    }
}
